// The form of a training: it suggests a free name, shows the command that does the same, and starts the job.
import { ask, copyOnClick, RequestError } from "./app.js";

const form = document.getElementById("train");
if (form) {
  const taken = new Set(JSON.parse(document.getElementById("taken").textContent));
  const fields = form.elements;
  const wrong = document.getElementById("wrong");
  let own = Boolean(fields.name.value);

  const chosen = () => fields.data.selectedOptions[0];
  function suggest() {
    const facts = chosen().dataset;
    const rated = Number(facts.rated).toLocaleString("en");
    const box = document.getElementById("about-data");
    box.textContent = facts.facts ?? "";
    box.className = facts.problem ? "problem" : "soft";
    document.getElementById("about-model").textContent = fields.model.value || fields.preset.value || !fields.data.value || facts.problem
      ? fields.preset.value && !fields.model.value ? "The preset names the model." : fields.model.selectedOptions[0].dataset.about ?? ""
      : Number(facts.rated) < 1000 ? `With ${rated} rated clips, selfmm will probably choose adapt, which takes seconds.` : `With ${rated} rated clips, selfmm will probably choose Self-MM and start from the starter. Without a graphics card, that can take hours.`;
    if (own || !fields.data.value) return;
    const data = fields.data.value === "." ? "data" : fields.data.value.split("/").at(-1);
    const base = `runs/${[data, fields.model.value || fields.preset.value || "auto"].join("-")}`;
    let name = base;
    for (let number = 2; taken.has(name); number += 1) name = `${base}-${number}`;
    fields.name.value = name;
  }

  const values = () => Object.fromEntries(["data", "model", "preset", "start", "seed", "epochs", "name"].map((name) => [name, fields[name].value]));
  let late = 0;
  async function preview() {
    const turn = (late += 1);
    try {
      const { command, problem } = await ask("/v1/train", { json: { ...values(), only: true } });
      if (turn !== late) return;
      if (command) document.getElementById("command").textContent = command;
      wrong.textContent = fields.data.value && fields.name.value ? problem : "";
    } catch (error) {
      if (turn === late) wrong.textContent = error.message;
    }
  }

  fields.name.addEventListener("input", () => (own = Boolean(fields.name.value)));
  let wait = null;
  form.addEventListener("input", () => {
    suggest();
    clearTimeout(wait);
    wait = setTimeout(preview, 250);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = document.getElementById("begin");
    button.disabled = true;
    wrong.textContent = "";
    try {
      const { job } = await ask("/v1/train", { json: values() });
      location.href = `/jobs/${job}`;
    } catch (error) {
      wrong.textContent = error instanceof RequestError ? error.message : `The page has a problem: ${error.message}`;
      button.disabled = false;
      wrong.scrollIntoView({ block: "nearest" });
    }
  });
  copyOnClick("copy", "command");
  addEventListener("pageshow", () => (document.getElementById("begin").disabled = false));
  suggest();
  if (fields.data.value) preview();
}
