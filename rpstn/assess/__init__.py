"""From joints in space to what a coach can read: repetitions, angles, faults, a report."""
