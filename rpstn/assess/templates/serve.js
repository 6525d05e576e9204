'use strict';
// Everything from outside, names above all, is set as text, never as HTML.
const $ = (id) => document.getElementById(id);
const files = {
  'report.html': 'Report', 'video.mp4': 'Video', 'report.json': 'JSON', 'angles.csv': 'Angles (CSV)',
  'joints.trc': 'Joints (TRC)',
};
const ASK = 1000; // milliseconds between questions while there is no stream
const AGAIN = 10000; // and until a stream that was refused is asked for again
let dropped = null;

function say(text) { if ($('said').textContent !== text) $('said').textContent = text; }

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function words(job) {
  if (job.state === 'sent') return 'Being sent.';
  if (job.state === 'waiting') return job.ahead ? `Waiting; ${job.ahead} before it.` : 'Waiting.';
  if (job.state === 'running') {
    return job.seconds ? `Looking: ${job.seconds.toFixed(1)} s of the video so far.` : 'Starting.';
  }
  return job.state === 'failed' ? `No report: ${job.text}` : job.text;
}

function ended(job) { return job.state === 'done' || job.state === 'failed'; }

function show(item, job) {
  const parts = [element('h3', job.name), element('p', words(job), { class: 'words' })];
  if (!ended(job)) parts.push(element('progress', '', { 'aria-label': `Progress of ${job.name}` }));
  if (job.state === 'done') {
    const links = element('p', '');
    for (const [name, title] of Object.entries(files)) {
      const link = element('a', title, { href: `/jobs/${job.id}/files/${name}`, target: '_blank' });
      links.append(link, ' ');
    }
    parts.push(links);
  }
  const remove = element('button', 'Remove', { type: 'button', class: 'plain', 'aria-label': `Remove ${job.name}` });
  remove.addEventListener('click', async () => {
    await fetch(`/jobs/${job.id}`, { method: 'DELETE' });
    item.remove();
    say(`${job.name} was removed.`);
  });
  parts.push(remove);
  item.replaceChildren(...parts);
}

const shown = new Map(); // by a job's id what was told of it last, and where it stands

function showJobs(jobs) {
  $('none').hidden = jobs.length > 0;
  const there = new Set(jobs.map((job) => job.id));
  for (const [id, { item }] of shown) if (!there.has(id)) { item.remove(); shown.delete(id); }
  for (const job of jobs) {
    const before = shown.get(job.id);
    const item = before ? before.item : element('li', '');
    shown.set(job.id, { job, item });
    if (!before) $('jobs').prepend(item);
    // A button that is pressed or has the focus stays the same one.
    if (before && before.job.state === job.state) item.querySelector('.words').textContent = words(job);
    else show(item, job);
    if (before && ended(job) && !ended(before.job)) say(`${job.name}: ${words(job)}`);
  }
}

async function send(file) {
  const most = Number($('video').dataset.most);
  if (file.size > most) { say(`${file.name}: has more than ${Math.floor(most / 1e6)} MB.`); return; }
  const options = new URLSearchParams({ name: file.name, exercise: $('exercise').value });
  if ($('height').value) options.set('height', $('height').value);
  if ($('blur').checked) options.set('blur_faces', 'true');
  say(`Sending ${file.name}.`);
  const answer = await fetch(`/jobs?${options}`, { method: 'POST', body: file });
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const why = typeof said.detail === 'string' ? said.detail : 'it was refused';
    say(`${file.name}: ${why}`);
    return;
  }
  say(`${file.name} was sent.`);
}

$('form').addEventListener('submit', async (event) => {
  event.preventDefault();
  const file = dropped || $('video').files[0];
  if (!file) { say('Choose a video first.'); $('video').focus(); return; }
  const button = event.submitter;
  button.disabled = true;
  try { await send(file); } catch { say('The video could not be sent.'); }
  button.disabled = false;
  dropped = null;
  $('video').value = '';
});
$('video').addEventListener('change', () => { dropped = null; });
for (const kind of ['dragover', 'dragleave', 'drop']) {
  $('drop').addEventListener(kind, (event) => {
    event.preventDefault();
    $('drop').classList.toggle('over', kind === 'dragover');
    if (kind === 'drop' && event.dataTransfer.files.length) {
      dropped = event.dataTransfer.files[0];
      say(`${dropped.name} is chosen.`);
    }
  });
}

let watching = null; // the number of what this page has asked to watch
let live = null; // what was told of it last
let told = 0;

function stopLive(text) {
  watching = null;
  $('picture').hidden = $('stop').hidden = true;
  $('picture').removeAttribute('src');
  $('counted').textContent = text;
}

function showLive(state) {
  live = state;
  if (watching === null || (state && state.session < watching)) return;
  if (!state || state.session > watching) { stopLive('Stopped.'); return; }
  if (state.ended) { stopLive(state.text); return; }
  if (state.text) { $('counted').textContent = state.text; return; }
  const angle = state.angle === null ? '' : `, ${Math.round(state.angle)}°`;
  const worst = state.worst ? ` ${state.worst}` : '';
  const plural = state.count === 1 ? '' : 's';
  if (state.count !== told) say(`${told = state.count}`); // a screen reader hears counts, not angles
  $('counted').textContent = `${state.count} repetition${plural}, ${state.phase}${angle}.${worst}`;
}

$('watch').addEventListener('submit', async (event) => {
  event.preventDefault();
  stopLive('Opening.');
  told = 0;
  const options = new URLSearchParams({ source: $('source').value, exercise: $('exercise').value });
  const answer = await fetch(`/live?${options}`, { method: 'POST' });
  if (!answer.ok) { stopLive('This cannot be watched.'); return; }
  watching = (await answer.json()).session;
  $('picture').src = `/live/pictures?${Date.now()}`;
  $('picture').hidden = $('stop').hidden = false;
  if (live && live.session === watching) showLive(live); // it was quicker than the answer
});
$('stop').addEventListener('click', async () => {
  stopLive('Stopped.');
  await fetch('/live', { method: 'DELETE' });
});

// One stream tells all; without it the page asks.
let asking = null;

async function ask() {
  const answers = await Promise.all([fetch('/jobs'), fetch('/live')]).catch(() => null);
  if (!answers) say('The page has been stopped.');
  else if (!answers.every((answer) => answer.ok)) say('Open the address that rpstn serve has printed.');
  else {
    showJobs(await answers[0].json());
    showLive(await answers[1].json());
  }
}

function listen() {
  const stream = new EventSource('/events');
  stream.addEventListener('jobs', (message) => showJobs(JSON.parse(message.data)));
  stream.addEventListener('live', (message) => showLive(JSON.parse(message.data)));
  stream.addEventListener('open', () => { clearInterval(asking); asking = null; });
  stream.addEventListener('error', () => {
    asking ??= setInterval(ask, ASK);
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN);
  });
}
listen();
