// Conveniences on top of pages that work without it: copying, busy buttons, menus, searching a list of tools.

const BUSY_AFTER_MS = 300;
const COPIED_FOR_MS = 2000;

function revealCopyButtons(root) {
  for (const button of root.querySelectorAll("button[data-copy][hidden]")) button.hidden = false;
}

function select(element) {
  const selection = getSelection();
  selection.removeAllRanges();
  const range = document.createRange();
  range.selectNodeContents(element);
  selection.addRange(range);
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  if (!source) return;
  const words = button.querySelector(".button-text");
  const before = words.dataset.before ?? words.textContent;
  words.dataset.before = before;
  try {
    // Not there on plain HTTP beyond localhost: then the text is selected, ready for the keyboard.
    await navigator.clipboard.writeText(source.textContent);
    words.textContent = "Copied";
  } catch {
    select(source);
    words.textContent = "Selected";
  }
  setTimeout(() => {
    words.textContent = before;
  }, COPIED_FOR_MS);
}

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!except || !menu.contains(except)) menu.open = false;
  }
}

const waiting = new Map();

function markBusy(form, submitter) {
  if (waiting.has(form)) return false;
  const button = submitter ?? form.querySelector("button[type=submit]");
  const timer = setTimeout(() => button?.setAttribute("aria-busy", "true"), BUSY_AFTER_MS);
  waiting.set(form, { button, timer });
  return true;
}

function markDone(form) {
  const entry = waiting.get(form);
  if (!entry) return;
  clearTimeout(entry.timer);
  entry.button?.removeAttribute("aria-busy");
  waiting.delete(form);
}

function filterTools(input) {
  const wanted = input.value.trim().toLowerCase();
  const list = document.getElementById(input.dataset.filter);
  if (!list) return;
  let shown = 0;
  for (const item of list.children) {
    item.hidden = wanted !== "" && !item.textContent.toLowerCase().includes(wanted);
    if (!item.hidden) shown++;
  }
  const none = document.getElementById(`${list.id}-none`);
  if (none) none.hidden = shown > 0;
}

document.addEventListener("click", (event) => {
  const target = event.target instanceof Element ? event.target : null;
  const button = target?.closest("button[data-copy]");
  if (button) copy(button);
  const close = target?.closest(".toast-close");
  if (close) {
    event.preventDefault();
    close.closest("[data-toast]").remove();
  }
  closeMenus(target);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const menu = document.activeElement?.closest("details[data-menu][open]");
  closeMenus();
  menu?.querySelector("summary").focus();
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (!markBusy(form, event.submitter)) event.preventDefault();
});

document.addEventListener("input", (event) => {
  const input = event.target;
  if (input.dataset?.filter) filterTools(input);
});

document.addEventListener("change", (event) => {
  if (event.target.dataset?.theme !== undefined) document.documentElement.dataset.theme = event.target.value;
});

// Empty filters stay out of the address.
document.addEventListener("htmx:config:request", (event) => {
  const { request } = event.detail.ctx;
  if (request.method !== "GET" || !(request.body instanceof FormData)) return;
  for (const [name, value] of [...request.body]) if (value === "") request.body.delete(name);
});

document.addEventListener("htmx:finally:request", (event) => {
  const form = event.detail.ctx.sourceElement.closest("form");
  if (form) markDone(form);
});

document.addEventListener("htmx:after:swap", () => {
  for (const form of [...waiting.keys()]) if (!form.isConnected) markDone(form);
  revealCopyButtons(document);
  // The answer of a tool may be below the window.
  document.querySelector("#result:not(:empty)")?.scrollIntoView({ block: "nearest" });
});

// A page that comes back from the browser's cache must not be busy for ever.
addEventListener("pageshow", () => {
  for (const form of [...waiting.keys()]) markDone(form);
});

revealCopyButtons(document);
