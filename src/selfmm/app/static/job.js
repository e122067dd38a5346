// The page of a job: its state, the end of its log, curves of a training, and buttons to stop and continue it.
import { ask, attempt, poll } from "./app.js";
import { training } from "./curves.js";

const page = document.getElementById("job");
const id = page.dataset.job;
const get = (name) => document.getElementById(name);
let seen = -1;
let over = false;
let watching = false;
let stopping = false;

function show(job) {
  const before = page.dataset.status;
  page.dataset.status = job.status;
  over = job.over;
  get("status").textContent = job.status;
  get("status").className = `state ${job.status}`;
  if (before !== job.status) get("sentence").textContent = job.sentence;
  else if (job.status === "running" && !stopping && get("sentence").textContent !== job.sentence) get("sentence").textContent = job.sentence;
  if (job.status !== "running") stopping = false;
  get("within").hidden = !job.within;
  get("within").textContent = job.within && job.within[0].toUpperCase() + job.within.slice(1);
  get("problem").hidden = !job.problem;
  get("problem").textContent = job.problem;
  get("made").hidden = !job.link;
  if (job.link) get("made").href = job.link;
  get("stop").hidden = job.over;
  get("resume").hidden = !job.resumable;
  get("remove").hidden = !job.over;
  get("progress").hidden = !job.progress;
  if (job.progress) {
    const [done, total] = job.progress;
    get("progress").firstElementChild.max = total;
    get("progress").firstElementChild.value = done;
    get("count").textContent = `${done} of ${total}`;
  }
  const log = get("log");
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 20;
  if (log.textContent !== (job.log || "Nothing yet.")) {
    log.textContent = job.log || "Nothing yet.";
    if (atEnd) log.scrollTop = log.scrollHeight;
  }
  document.title = `${job.status} · ${job.title}`;
}

async function draw() {
  const run = page.dataset.out;
  if (!run) return;
  const history = await ask(`/v1/run-history?run=${encodeURIComponent(run)}`).catch(() => null); // the run may not exist yet
  if (!history?.epochs.length || history.epochs.length === seen || history.epochs.length < 2) return;
  seen = history.epochs.length;
  get("curves-section").hidden = false;
  training(get("curves"), history);
}

async function watch() {
  if (watching) return;
  watching = true;
  await attempt(() => poll(async () => {
    show(await ask(`/v1/jobs/${id}`));
    await draw(); // meanwhile, a click may have resumed the job
    return over;
  }, 1200));
  watching = false;
}

function act(name, path) {
  get(name).addEventListener("click", async () => {
    get(name).disabled = true;
    stopping = name === "stop";
    if (stopping) get("sentence").textContent = "It is stopping, and saves what it has. Press Stop again to end it immediately.";
    const job = await attempt(() => ask(`/v1/jobs/${id}/${path}`, { method: "POST" }));
    get(name).disabled = false;
    if (job) {
      if (name !== "stop" || job.over) show(job);
      watch();
    }
  });
}

act("stop", "stop");
act("resume", "resume");
get("remove").addEventListener("click", async () => {
  if (await attempt(() => ask(`/v1/jobs/${id}`, { method: "DELETE" }))) location.href = "/jobs";
});
get("log").scrollTop = get("log").scrollHeight;
watch();
