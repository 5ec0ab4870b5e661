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

/** What the answer of htmx takes the place of, remembered as both are gone once it stands. */
let swapped = {};

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

function filterList(input) {
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

// A search inside of a form narrows what is shown, it does not send the form.
function isFilter(element) {
  return element instanceof HTMLInputElement && element.dataset.filter !== undefined;
}

/** The first control that a refused form marks, or its message where it marks none. */
function refused(root) {
  const control = root.querySelector('[aria-invalid="true"]');
  if (control) return control;
  const group = root.querySelector("fieldset[data-invalid]");
  if (group) return group.querySelector("input:checked") ?? group.querySelector("input");
  // Where the page itself says where to go on, as the sign-in does, the message is read on the way.
  return root.querySelector("[autofocus]") ? null : root.querySelector("form .notice[role=alert]");
}

function focusRefused(root) {
  const element = refused(root);
  if (!element) return;
  for (let fold = element.closest("details"); fold; fold = fold.parentElement.closest("details")) {
    fold.open = true;
  }
  if (!element.matches("input, select, textarea")) element.tabIndex = -1;
  element.focus({ preventScroll: true });
  (element.closest(".field, fieldset") ?? element).scrollIntoView({ block: "nearest" });
}

// A list that scrolls by itself begins at its top, which may be far from what is open.
function revealCurrent() {
  const current = document.querySelector("#tool-names [aria-current]");
  const list = current?.closest("ul");
  if (!list) return;
  const [box, around] = [current.getBoundingClientRect(), list.getBoundingClientRect()];
  if (box.bottom > around.bottom) list.scrollTop += box.top - around.top - (around.height - box.height) / 2;
}

// The way back to a list leads to it as it was narrowed.
function keepFilters() {
  const link = document.querySelector("a[data-back]");
  if (!link || !document.referrer) return;
  const came = new URL(document.referrer);
  const goes = new URL(link.href);
  if (came.origin === goes.origin && came.pathname === goes.pathname) link.href = came.href;
}

/** Says what a swap brought: a live region that is new itself is not read out. */
function say(element) {
  const words = [...element.querySelectorAll("[data-say]"), element].find((one) => one.dataset.say);
  const place = document.getElementById("said");
  if (words && place) place.textContent = words.dataset.say;
}

// A message that came with the page is read out once it changes there.
function sayToast() {
  const words = document.querySelector("[data-toast] > p");
  if (!words) return;
  const text = words.textContent;
  words.textContent = "";
  requestAnimationFrame(() => {
    words.textContent = text;
  });
}

function sayUnreached() {
  const toast = document.createElement("div");
  toast.className = "toast bad";
  toast.dataset.toast = "unreached";
  toast.setAttribute("role", "alert");
  document.body.append(toast);
  toast.append(Object.assign(document.createElement("p"), {
    textContent: document.getElementById("said").dataset.unreached,
  }));
  const close = Object.assign(document.createElement("button"), {
    type: "button",
    className: "toast-close",
    textContent: "×",
  });
  close.setAttribute("aria-label", "Close this message");
  toast.append(close);
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
  if (event.key === "Enter" && isFilter(event.target)) event.preventDefault();
  if (event.key !== "Escape") return;
  const menu = document.activeElement?.closest("details[data-menu][open]");
  closeMenus();
  menu?.querySelector("summary").focus();
});

// A menu that is left does not stay over what is read next.
document.addEventListener("focusin", (event) => closeMenus(event.target));

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") return;
  if (!markBusy(form, event.submitter)) event.preventDefault();
});

document.addEventListener("input", (event) => {
  if (isFilter(event.target)) filterList(event.target);
});

document.addEventListener("change", (event) => {
  if (event.target.dataset?.theme !== undefined) document.documentElement.dataset.theme = event.target.value;
});

// Empty filters stay out of the address.
document.addEventListener("htmx:config:request", (event) => {
  document.querySelector("[data-toast=unreached]")?.remove();
  const { request } = event.detail.ctx;
  if (request.method !== "GET" || !(request.body instanceof FormData)) return;
  for (const [name, value] of [...request.body]) if (value === "") request.body.delete(name);
});

document.addEventListener("htmx:finally:request", (event) => {
  const form = event.detail.ctx.sourceElement.closest("form");
  if (form) markDone(form);
});

document.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx && !event.detail.ctx.response) sayUnreached();
});

document.addEventListener("htmx:before:swap", (event) => {
  const { sourceElement, target } = event.detail.ctx;
  swapped = { id: target?.id, paged: sourceElement.closest(".paging") !== null };
});

document.addEventListener("htmx:after:swap", () => {
  for (const form of [...waiting.keys()]) if (!form.isConnected) markDone(form);
  revealCopyButtons(document);
  const fresh = swapped.id && document.getElementById(swapped.id);
  if (!fresh) return;
  say(fresh);
  focusRefused(fresh);
  // The link that was followed is gone with the page before.
  if (swapped.paged) fresh.focus({ preventScroll: true });
  // The answer of a tool may be below the window.
  fresh.querySelector("#result:not(:empty)")?.scrollIntoView({ block: "nearest" });
});

// A page that comes back from the browser's cache must not be busy for ever.
addEventListener("pageshow", () => {
  for (const form of [...waiting.keys()]) markDone(form);
});

revealCopyButtons(document);
revealCurrent();
keepFilters();
focusRefused(document);
sayToast();
