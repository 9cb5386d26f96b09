/*
 * Makes a plain file form a drop zone: drag and drop, the chosen file's name and size, the size
 * limit said before anything is sent, and progress. The form works without this.
 */

const form = document.querySelector("form[data-drop]");
const input = form?.querySelector("input[type=file]");

function say(text, isError = false) {
  const line = form.querySelector("[data-drop-status]");
  line.textContent = text;
  line.classList.toggle("loss", isError);
}

function size(bytes) {
  const units = [
    [1_000_000, "megabyte"],
    [1_000, "kilobyte"],
    [1, "byte"],
  ];
  const [per, unit] = units.find(([step]) => bytes >= step) ?? units[2];
  const format = new Intl.NumberFormat(document.documentElement.lang, {
    style: "unit",
    unit,
    maximumFractionDigits: 1,
  });
  return format.format(bytes / per);
}

/** Shows what is chosen; answers whether it may be sent. */
function look() {
  const file = input.files[0];
  const isTooLarge = Boolean(file) && file.size > Number(form.dataset.limit);
  form.querySelector("button[type=submit]").disabled = isTooLarge;
  if (!file) say("");
  else if (isTooLarge) say(form.dataset.tooLarge.replace("{size}", size(file.size)), true);
  else say(`${file.name} · ${size(file.size)}`);
  return Boolean(file) && !isTooLarge;
}

function busy(is) {
  const button = form.querySelector("button[type=submit]");
  button.setAttribute("aria-busy", String(is));
  form.querySelector("progress").hidden = !is;
}

function drop(event) {
  event.preventDefault();
  form.classList.remove("is-over");
  const files = event.dataTransfer.files;
  if (files.length !== 1) {
    say(form.dataset.oneFile, true);
    return;
  }
  input.files = files;
  if (look()) form.requestSubmit();
}

function listen() {
  input.addEventListener("change", look);
  form.addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.add("is-over");
  });
  form.addEventListener("dragleave", (event) => {
    if (!form.contains(event.relatedTarget)) form.classList.remove("is-over");
  });
  form.addEventListener("drop", drop);
  form.addEventListener("htmx:beforeRequest", () => busy(true));
  form.addEventListener("htmx:afterRequest", () => busy(false));
  form.addEventListener("htmx:sendError", () => say(form.dataset.lost, true));
  form.addEventListener("htmx:xhr:progress", (event) => {
    const bar = form.querySelector("progress");
    if (!event.detail.lengthComputable) return;
    if (event.detail.loaded < event.detail.total) {
      bar.max = event.detail.total;
      bar.value = event.detail.loaded;
    } else {
      // All of it has arrived: how long the reading takes is not known.
      bar.removeAttribute("value");
      say(form.dataset.reading);
    }
  });
}

if (input) listen();
