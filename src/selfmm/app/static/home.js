// The first page: files go to the Score screen, and the part about the machine is filled in.
import { ask, attempt, element, leave } from "./app.js";
import { takesFiles, uploadAll } from "./upload.js";

const drop = document.getElementById("drop");
const files = document.getElementById("files");

async function score(list) {
  drop.classList.add("busy");
  const ids = await uploadAll(list, document.getElementById("uploading"));
  drop.classList.remove("busy");
  if (ids.length === 1) leave(`/score/${ids[0]}`);
  else if (ids.length) leave("/score");
}

files.addEventListener("change", () => score(files.files));
takesFiles(drop, score);

async function getWeights(names) {
  const { job } = await ask("/v1/weights", { json: { names } });
  location.href = `/jobs/${job}`;
}

attempt(async () => {
  const box = document.getElementById("machine");
  const machine = await ask(box.dataset.url);
  const graphics = ["", "none"].includes(machine.gpu) ? "no graphics card" : machine.gpu;
  const lines = [element("p", {}, `${machine.threads} processor threads, ${graphics}.`)];
  if (machine.weights.length) {
    const names = machine.weights.join(", ");
    const get = element("button", { type: "button", class: "primary", onclick: () => attempt(() => getWeights(machine.weights)) }, "Get them");
    drop.after(
      element("div", { class: "panel row", role: "note" },
        element("span", {}, `To score a video, selfmm needs models that are not on this machine yet: ${names}. `), get),
    );
  }
  if (machine.unwritable) lines.push(element("p", { class: "problem" }, machine.unwritable));
  if (machine.missing.length) {
    lines.push(element("p", {}, "Some tasks do not work yet. These commands install what they need:"));
    lines.push(
      element("dl", { class: "lacks" }, machine.missing.map((job) => [
        element("dt", {}, `${job.name}: ${job.missing.join(", ")}`),
        element("dd", {}, job.commands.map((command) => element("code", {}, command))),
      ])),
    );
  } else if (!machine.unwritable) {
    lines.push(element("p", {}, "Everything that selfmm can do works here."));
  }
  box.replaceChildren(...lines);
});
