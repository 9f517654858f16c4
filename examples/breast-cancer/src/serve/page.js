"use strict";
// Sends the measurements, and shows what is answered.

const form = document.getElementById("form");
const button = form.querySelector("button");
const prediction = document.getElementById("prediction");
const scale = document.getElementById("scale");
const share = document.getElementById("share");
const about = document.getElementById("about");
const WITHIN_MS = 15000;

// A number as it was typed, with a comma or a point; what is no number is sent as it is, and refused with the reason.
function measured(text) {
  const plain = text.trim().replace(",", ".");
  const number = Number(plain);
  return plain !== "" && Number.isFinite(number) ? number : plain;
}

function measurements() {
  const filled = [...form.querySelectorAll("input")].filter((input) => input.value.trim() !== "");
  return Object.fromEntries(filled.map((input) => [input.name, measured(input.value)]));
}

function say(kind, text) {
  prediction.className = kind;
  prediction.textContent = text;
  scale.hidden = true;
}

function percentage(probability) {
  if (probability > 0.999 && probability < 1) return "more than 99.9 %";
  if (probability < 0.001 && probability > 0) return "less than 0.1 %";
  return `${(probability * 100).toFixed(1)} %`;
}

function show(said) {
  const word = said.prediction[0].toUpperCase() + said.prediction.slice(1);
  say(said.prediction, `${word}: ${percentage(said.probability)} likely to be malignant`);
  share.style.width = `${said.probability * 100}%`;
  scale.hidden = false;
  about.textContent = said.version === null
    ? `model ${said.sha256.slice(0, 12)}, which is not registered`
    : `model version ${said.version}`;
}

// Marks the fields that are wrong, and goes to the first.
function mark(wrong) {
  let first = null;
  for (const input of form.querySelectorAll("input")) {
    const why = wrong[input.name];
    input.removeAttribute("aria-invalid");
    if (why !== undefined) input.setAttribute("aria-invalid", "true");
    document.getElementById(`${input.id}-wrong`).textContent = why ?? "";
    if (why !== undefined && first === null) first = input;
  }
  if (first === null) return;
  const details = first.closest("details");
  if (details !== null) details.open = true;
  first.focus();
}

async function ask() {
  const response = await fetch("predict", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(measurements()),
    signal: AbortSignal.timeout(WITHIN_MS),
  });
  return [response.ok, await response.json()];
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    const [ok, said] = await ask();
    const wrong = said.fields ?? {};
    mark(wrong);
    const count = Object.keys(wrong).length;
    if (ok) show(said);
    else if (count === 0) say("trouble", said.error);
    else say("trouble", `${count === 1 ? "One measurement" : `${count} measurements`} cannot be used`);
  } catch {
    say("trouble", "The service does not answer; another version may be starting. Try again in a moment.");
  } finally {
    button.removeAttribute("aria-busy");
  }
});
