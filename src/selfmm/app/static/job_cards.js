// Cards of jobs on other pages: their state and progress are kept up to date while one of them runs.
import { ask, poll } from "./app.js";

const cards = [...document.querySelectorAll("[data-job][data-over]")];

if (cards.some((card) => !card.dataset.over)) {
  poll(async () => {
    const jobs = new Map((await ask("/v1/jobs").catch(() => [])).map((job) => [job.id, job]));
    for (const card of cards) {
      const job = jobs.get(card.dataset.job);
      if (!job) continue;
      const state = card.querySelector(".state");
      state.textContent = job.progress ? `${job.status}, ${job.progress[0]} of ${job.progress[1]}` : job.within ? `${job.status}, ${job.within}` : job.status;
      state.className = `state ${job.status}`;
      const bar = card.querySelector("progress");
      bar.hidden = !job.progress;
      if (job.progress) [bar.value, bar.max] = job.progress;
      card.dataset.over = job.over ? "yes" : "";
    }
    return cards.every((card) => card.dataset.over);
  }, 2500);
}
