'use strict';
// Everything from outside, names above all, is set as text, never as HTML.
const $ = (id) => document.getElementById(id);
const files = {
  'report.html': 'Report', 'video.mp4': 'Video', 'report.json': 'JSON', 'angles.csv': 'Angles (CSV)',
  'joints.trc': 'Joints (TRC)',
};
const LOOK = 500; // milliseconds between looks at a job
const KEPT = 'jobs'; // their ids, which outlive a reload of the page
let dropped = null;

function kept() { return JSON.parse(sessionStorage.getItem(KEPT) || '[]'); }

function keep(ids) { sessionStorage.setItem(KEPT, JSON.stringify(ids)); }

function say(text) { $('said').textContent = text; }

function element(tag, text, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function words(job) {
  if (job.state === 'waiting') return job.ahead ? `Waiting; ${job.ahead} before it.` : 'Waiting.';
  if (job.state === 'running') {
    return job.seconds ? `Looking: ${job.seconds.toFixed(1)} s of the video so far.` : 'Starting.';
  }
  return job.state === 'failed' ? `No report: ${job.text}` : job.text;
}

function show(item, job) {
  const parts = [element('h3', job.name), element('p', words(job))];
  if (job.state === 'waiting' || job.state === 'running') {
    parts.push(element('progress', '', { 'aria-label': `Progress of ${job.name}` }));
  }
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
    forget(item, job.id);
    say(`${job.name} was removed.`);
  });
  parts.push(remove);
  item.replaceChildren(...parts);
}

function forget(item, id) {
  item.remove();
  keep(kept().filter((one) => one !== id));
}

function ended(job) { return job.state === 'done' || job.state === 'failed'; }

// Asked for again and again, as a browser keeps few connections open at a time.
async function follow(job) {
  $('none').hidden = true;
  const item = element('li', '');
  $('jobs').prepend(item);
  show(item, job);
  let shown = JSON.stringify(job);
  while (!ended(job)) {
    await new Promise((resolve) => { setTimeout(resolve, LOOK); });
    const answer = await fetch(`/jobs/${job.id}`).catch(() => null);
    if (!answer) { say('The page has been stopped.'); return; }
    if (!answer.ok) { forget(item, job.id); return; }
    job = await answer.json();
    if (JSON.stringify(job) === shown) continue; // a button keeps its focus
    shown = JSON.stringify(job);
    show(item, job);
    if (ended(job)) say(`${job.name}: ${words(job)}`);
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
  keep([...kept(), said.id]);
  follow(said);
}

async function followKept() {
  for (const id of kept()) {
    const answer = await fetch(`/jobs/${id}`).catch(() => null);
    if (answer && answer.ok) follow(await answer.json());
    else keep(kept().filter((one) => one !== id));
  }
}
followKept();

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

let counting = null;
let told = 0;

function stopLive(text) {
  if (counting) counting.close();
  counting = null;
  $('picture').hidden = $('stop').hidden = true;
  $('picture').removeAttribute('src');
  $('counted').textContent = text;
}

function showLive(state) {
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
  $('picture').src = `/live/pictures?${Date.now()}`;
  $('picture').hidden = $('stop').hidden = false;
  counting = new EventSource('/live/events');
  counting.onmessage = (message) => showLive(JSON.parse(message.data));
});
$('stop').addEventListener('click', async () => {
  stopLive('Stopped.');
  await fetch('/live', { method: 'DELETE' });
});
