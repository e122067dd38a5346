// What all pages use: requests that return data or throw a sentence, notices, and elements that are made without HTML.

/** A request that failed; the message is for people. */
export class RequestError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Send a request and return the JSON of the answer. Throw a RequestError if it fails, or if the server does not answer. */
export async function ask(url, options = {}) {
  if (options.json !== undefined) {
    options = { method: "POST", ...options, body: JSON.stringify(options.json), headers: { "content-type": "application/json" } };
  }
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    if (options.signal?.aborted) throw new RequestError("The request was cancelled.", 0);
    throw new RequestError("selfmm does not answer. Is it still running in the terminal?", 0);
  }
  const content = await response.json().catch(() => ({}));
  if (!response.ok) throw new RequestError(content.error ?? `The server answered with ${response.status}.`, response.status);
  return content;
}

/** Return an element: `element("a", { href: "/", class: "soft" }, "text", child)`. Text is never read as HTML. */
export function element(name, properties = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "dataset") Object.assign(node.dataset, value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Return an SVG element; `properties` are its attributes. */
export function svg(name, properties = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(properties)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** Show a sentence at the bottom of the page for a while. An error stays until it is closed. */
export function notify(message, kind = "note") {
  const box = document.getElementById("notices");
  const close = element("button", { type: "button", "aria-label": "Close", onclick: () => note.remove() }, "×");
  const note = element("div", { class: `notice ${kind}` }, element("span", {}, message), close);
  box.append(note);
  if (kind !== "error") setTimeout(() => note.remove(), 6000);
  return note;
}

/** Call `action`, and show its error as a notice. */
export async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    notify(error instanceof RequestError ? error.message : `The page has a problem: ${error.message}`, "error");
    if (!(error instanceof RequestError)) console.error(error);
    return undefined;
  }
}

/** Return a score as text, "+1.20"; a sign only where labels can be negative. */
export function figure(score, range = [-1, 1], digits = 2) {
  if (score === null || score === undefined || Number.isNaN(score)) return "–";
  const text = Math.abs(score).toFixed(digits);
  if (Number(text) === 0) return text;
  return (score < 0 ? "−" : range[0] < 0 ? "+" : "") + text;
}

/** Return seconds as "1:05.3", or as "1:02:05" for an hour and more. */
export function clock(seconds, digits = 1) {
  const whole = Math.max(seconds, 0);
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  const rest = (whole % 60).toFixed(hours ? 0 : digits).padStart(hours || !digits ? 2 : 3 + digits, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Return the parameters of the page's link. */
export function parameters() {
  return new URLSearchParams(location.search);
}

/** Write parameters to the page's link; null removes one. With `push`, the back button returns to the previous link. */
export function remember(changes, { push = false } = {}) {
  const query = parameters();
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") query.delete(key);
    else query.set(key, value);
  }
  const text = query.toString();
  const url = location.pathname + (text ? `?${text}` : "") + location.hash;
  if (url !== location.pathname + location.search + location.hash) history[push ? "pushState" : "replaceState"](null, "", url);
}

/** Return a name in the folder as part of a link; slashes stay. */
export function pathOf(name) {
  return name.split("/").map(encodeURIComponent).join("/");
}

/** Show `words` and the seconds that pass in `box`. Return a function that stops the clock. */
export function waiting(box, words) {
  const note = element("p", { class: "soft", role: "status" }, words);
  box.replaceChildren(note);
  const begun = Date.now();
  const clock = setInterval(() => (note.textContent = `${words} ${Math.round((Date.now() - begun) / 1000)} s`), 1000);
  return () => clearInterval(clock);
}

const AWAY = [0, 502, 503, 504]; // statuses of a server that is gone, ends or starts
const unanswered = new Set();
let away = null;

/** Note whether `request`, any object, waits for the server. While one does, the page says so; "back" is dispatched afterwards. */
export function waitsForServer(request, waits) {
  if (waits) unanswered.add(request);
  else unanswered.delete(request);
  if (unanswered.size) away ??= notify("selfmm does not answer; waiting for it. Is it still running in the terminal?", "error");
  else if (away) {
    away.remove();
    away = null;
    document.dispatchEvent(new Event("back"));
  }
}

/** Return whether an error says that the server is gone, ends or starts. */
export function isAway(error) {
  return error instanceof RequestError && AWAY.includes(error.status);
}

/** Call `look` again and again until it returns true; slower while the page is hidden. If the server does not answer, wait for it. */
export async function poll(look, every = 700) {
  for (;;) {
    try {
      const over = await look();
      waitsForServer(look, false);
      if (over) return;
    } catch (error) {
      waitsForServer(look, isAway(error));
      if (!isAway(error)) throw error;
    }
    await new Promise((done) => setTimeout(done, document.hidden ? every * 5 : every));
  }
}

/** Go to another page. The errors that this one shows are shown there. */
export function leave(url) {
  const errors = [...document.querySelectorAll("#notices .notice.error > span")].map((note) => note.textContent);
  try {
    sessionStorage.setItem("errors", JSON.stringify(errors));
  } catch {
    // without storage, they are lost
  }
  location.href = url;
}

try {
  for (const message of JSON.parse(sessionStorage.getItem("errors") ?? "[]")) notify(message, "error");
  sessionStorage.removeItem("errors");
} catch {
  // without storage, there are none
}

/** Copy the text of one element when another one is clicked. */
export function copyOnClick(button, source) {
  document.getElementById(button)?.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(document.getElementById(source).textContent);
      notify("Copied.");
    } catch {
      notify("The browser does not allow copying. Select the command instead.", "error");
    }
  });
}
