// Send recordings to the app. They go only to the server on this machine, which keeps them in a private folder.
import { element, notify } from "./app.js";

/** Send a file and return the id of its score. `onProgress` gets the share that was sent, 0 to 1. */
function upload(file, onProgress = () => {}, query = {}) {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/v1/scores?${new URLSearchParams({ name: file.name, ...query })}`);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => event.lengthComputable && onProgress(event.loaded / event.total));
    request.addEventListener("load", () => {
      if (request.status < 300) done(request.response.id);
      else fail(new Error(request.response?.error ?? `The server answered with ${request.status}.`));
    });
    request.addEventListener("error", () => fail(new Error("selfmm does not answer. Is it still running in the terminal?")));
    request.send(file);
  });
}

/** Send files one after the other, with a line for each in `list`. Return the ids of those that arrived. */
export async function uploadAll(files, list, query = {}) {
  const ids = [];
  for (const file of files) {
    const bar = element("progress", { max: 1, value: 0, "aria-label": `Sending ${file.name}` });
    const line = element("li", {}, element("span", {}, file.name), bar);
    list.append(line);
    try {
      ids.push(await upload(file, (part) => (bar.value = part), query));
      line.remove();
    } catch (error) {
      line.remove();
      notify(`${file.name}: ${error.message}`, "error");
    }
  }
  return ids;
}

/** Call `use` with the files that are dropped anywhere on the page. While files are over it, `box` shows that. */
export function takesFiles(box, use) {
  for (const kind of ["dragenter", "dragover"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      box.classList.add("over");
    });
  }
  document.addEventListener("dragleave", (event) => event.relatedTarget || box.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    box.classList.remove("over");
    if (event.dataTransfer.files.length) use(event.dataTransfer.files);
  });
}
