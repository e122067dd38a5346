// Recording from the camera and the microphone of this machine.
import { clock, notify } from "./app.js";

const KINDS = ["video/webm;codecs=vp8,opus", "video/webm", "video/mp4"];
const SOUND_KINDS = ["audio/webm;codecs=opus", "audio/webm", "audio/mp4", "audio/ogg"];
const LONGEST = 3600; // seconds
const $ = (id) => document.getElementById(id);

const PROBLEMS = {
  NotAllowedError: "The browser was not allowed to use the camera or the microphone. Allow it in the address bar, and press Start again.",
  NotReadableError: "Another program uses the camera or the microphone. Close it, and press Start again.",
  SecurityError: "The browser records only on a page from this machine, or over HTTPS.",
};

/** Wire the panel; `onDone(file)` gets the recording. */
export function recorder(onDone) {
  let stream = null;
  let recording = null;
  let clockTimer = 0;
  let sound = null;
  let noCamera = false;

  function say(text, problem = false) {
    $("record-say").textContent = text;
    $("record-say").classList.toggle("problem", problem);
  }

  async function open(withPicture) {
    if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) {
      say("This browser cannot record here. Record with another program, and drop the file.", true);
      return false;
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: withPicture });
    } catch (error) {
      if (["NotFoundError", "OverconstrainedError", "DevicesNotFoundError"].includes(error.name)) {
        if (withPicture) {
          noCamera = true;
          return open(false);
        }
        say("There is no microphone on this machine. Plug one in, or drop a file.", true);
      } else say(PROBLEMS[error.name] ?? `Recording does not work: ${error.message}`, true);
      return false;
    }
    return true;
  }

  function meter() {
    try {
      sound = new AudioContext();
      const analyser = sound.createAnalyser();
      sound.createMediaStreamSource(stream).connect(analyser);
      const samples = new Float32Array(analyser.fftSize);
      const look = () => {
        if (!stream) return;
        analyser.getFloatTimeDomainData(samples);
        const loud = Math.sqrt(samples.reduce((sum, value) => sum + value * value, 0) / samples.length);
        $("record-level").style.width = `${Math.min(Math.max(20 * Math.log10(loud + 1e-5) + 60, 0) / 55, 1) * 100}%`;
        requestAnimationFrame(look);
      };
      look();
    } catch {
      // recording works without the meter
    }
  }

  function close() {
    clearInterval(clockTimer);
    stream?.getTracks().forEach((track) => track.stop());
    sound?.close();
    stream = recording = sound = null;
    $("camera").srcObject = null;
    $("record-start").hidden = false;
    $("record-stop").hidden = true;
    $("record-picture").disabled = false;
    $("record-time").textContent = "";
    $("record-level").style.width = "0";
  }

  $("record-start").addEventListener("click", async () => {
    const withPicture = $("record-picture").checked;
    noCamera = false;
    say("Waiting for the camera and the microphone …");
    if (!(await open(withPicture))) return close();
    const picture = stream.getVideoTracks().length > 0;
    const kind = (picture ? KINDS : SOUND_KINDS).find((name) => MediaRecorder.isTypeSupported(name)) ?? "";
    $("camera").hidden = !picture;
    $("camera").srcObject = stream;
    $("camera").play().catch(() => {});
    meter();
    const pieces = [];
    recording = new MediaRecorder(stream, kind ? { mimeType: kind } : {});
    recording.addEventListener("dataavailable", (event) => event.data.size && pieces.push(event.data));
    recording.addEventListener("stop", () => {
      const type = recording?.mimeType || kind || "video/webm";
      const stamp = new Date().toLocaleString("sv").replaceAll(":", ".");
      const ending = type.includes("mp4") ? "mp4" : type.includes("ogg") ? "ogg" : "webm";
      close();
      if (!pieces.length) return notify("Nothing was recorded. Press Start again.", "error");
      say("The recording is being sent.");
      onDone(new File(pieces, `recording ${stamp}.${ending}`, { type: type.split(";")[0] }));
    });
    const began = performance.now();
    recording.start(1000);
    say(picture ? "Recording. Look at the camera and speak." : noCamera ? "There is no camera, so only the sound is recorded. Speak." : "Recording the sound. Speak.");
    $("record-start").hidden = true;
    $("record-stop").hidden = false;
    $("record-picture").disabled = true;
    $("record-stop").focus();
    clockTimer = setInterval(() => {
      const seconds = (performance.now() - began) / 1000;
      $("record-time").textContent = clock(seconds, 0);
      if (seconds > LONGEST) recording?.stop();
    }, 250);
  });
  $("record-stop").addEventListener("click", () => recording?.stop());
  window.addEventListener("pagehide", () => stream && close());
  return { close: () => !recording && close() };
}
