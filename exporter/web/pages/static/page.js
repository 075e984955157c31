// Optional improvements of the pages: refreshes a page in place, shows times in the local time zone,
// remembers which sections are collapsed, copies text, and makes charts readable by keyboard. No page needs it.
"use strict";

const storage = {
  get(key) { try { return sessionStorage.getItem(key); } catch { return null; } },
  set(key, value) { try { sessionStorage.setItem(key, value); } catch { /* the browser keeps nothing */ } },
};

const announcer = Object.assign(document.createElement("p"), { className: "unseen" });
announcer.setAttribute("role", "status");
document.body.append(announcer);
const announce = (text) => { announcer.textContent = text; };

// Times: as the server writes them in UTC, so that the local time can be computed again after each refresh.

function showLocalTimes(root) {
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("time[data-clock]")) {
    const moment = new Date(time.dateTime);
    const day = moment.toDateString() === today ? {} : { day: "numeric", month: "short" };
    const second = time.dataset.clock === "seconds" ? { second: "2-digit" } : {};
    const clock = { hour: "2-digit", minute: "2-digit", ...second, hourCycle: "h23", timeZoneName: "short" };
    time.title = time.dateTime;
    time.textContent = moment.toLocaleString("en-GB", { ...day, ...clock });
  }
}

// Refreshing: an element is changed only where it differs, so that focus, selection and scrolling stay in place.

const keyOf = (node) => node.dataset?.key;
const isSame = (one, other) => one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

function sync(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && !keepsAttribute(old, name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && !keepsAttribute(old, name)) old.setAttribute(name, value);
  }
  if (!old.hasAttribute("data-own")) syncChildren(old, fresh);
}

const keepsAttribute = (element, name) =>
  name === "tabindex" || (element.localName === "details" && name === "open") || element.hasAttribute("data-own");

function syncChildren(old, fresh) {
  const keyed = new Map([...old.children].filter(keyOf).map((child) => [keyOf(child), child]));
  let next = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    while (next?.hasAttribute?.("data-added")) next = next.nextSibling;
    const match = keyOf(child) ? keyed.get(keyOf(child)) : next && !keyOf(next) && isSame(next, child) ? next : null;
    if (!match || !isSame(match, child)) {
      old.insertBefore(child, next);
      continue;
    }
    if (match === next) next = next.nextSibling;
    else old.insertBefore(match, next);
    sync(match, child);
  }
  while (next) {
    const after = next.nextSibling;
    if (!next.hasAttribute?.("data-added")) next.remove();
    next = after;
  }
}

function update(page) {
  const focused = document.activeElement;
  showLocalTimes(page);
  for (const old of document.querySelectorAll("[data-live]")) {
    const fresh = page.querySelector(`[data-live="${old.dataset.live}"]`);
    if (fresh) sync(old, fresh);
  }
  const [icon, freshIcon] = [document, page].map((one) => one.querySelector("link[rel=icon]"));
  if (icon.getAttribute("href") !== freshIcon.getAttribute("href")) icon.replaceWith(freshIcon);
  if (document.title !== page.title) {
    document.title = page.title;
    announce(page.title);
  }
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
  enhance();
}

const refresher = document.querySelector("[data-refresher]");
const seconds = Number(document.body.dataset.refresh ?? 0);
let isPaused = seconds === 0 || storage.get("paused") === "yes";
let timer = 0;
let answeredAt = new Date();

function showLoss(status) {
  const time = answeredAt.toLocaleTimeString("en-GB", { timeZoneName: "short" });
  const what = status ? `has answered with ${status} instead of this page` : "has not answered";
  const text = `The exporter ${what} since ${time}. The page shows the state at that time.`;
  let notice = document.getElementById("lost");
  if (!notice) {
    notice = Object.assign(document.createElement("p"), { id: "lost", className: "notice failing" });
    document.getElementById("content").prepend(notice);
    announce(text);
  }
  notice.textContent = text;
  document.body.classList.add("lost");
}

function showContact() {
  answeredAt = new Date();
  document.getElementById("lost")?.remove();
  document.body.classList.remove("lost");
}

async function refresh() {
  clearTimeout(timer);
  if (isPaused) return;
  if (document.getSelection().isCollapsed) {
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(10_000) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (answer.ok && !isPaused) update(page);
      if (answer.ok) showContact();
      else showLoss(answer.status);
    } catch {
      showLoss();
    }
  }
  waitForRefresh();
}

// A page in the background keeps its title and icon up to date, but asks seldom.
function waitForRefresh() {
  clearTimeout(timer);
  timer = setTimeout(refresh, 1000 * (document.hidden ? Math.max(seconds, 60) : seconds));
}

function showRefresher() {
  const word = isPaused ? "Resume" : "Pause";
  refresher.replaceChildren(word, Object.assign(document.createElement("span"), { className: "wide", textContent: " refresh" }));
  refresher.setAttribute("aria-label", `${word} refresh`);
  refresher.title = isPaused ? "The page does not change by itself" : `The page refreshes every ${seconds} s`;
}

if (refresher && seconds) {
  refresher.hidden = false;
  showRefresher();
  refresher.addEventListener("click", () => {
    isPaused = !isPaused;
    storage.set("paused", isPaused ? "yes" : "no");
    showRefresher();
    refresh();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
  waitForRefresh();
}

// Collapsible sections: what the reader opens or closes stays that way on the next page.

document.addEventListener("toggle", ({ target }) => {
  if (keyOf(target)) storage.set(`fold ${keyOf(target)}`, target.open ? "open" : "closed");
}, true);

function restoreFolds() {
  for (const details of document.querySelectorAll("details[data-key]")) {
    const fold = storage.get(`fold ${keyOf(details)}`);
    if (fold) details.open = fold === "open";
  }
}

// Copying: a button beside each text. Browsers offer the clipboard only over HTTPS; elsewhere they are told to copy.

async function copy(source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
  } catch {
    const fill = (event) => {
      event.clipboardData.setData("text/plain", source.textContent);
      event.preventDefault();
    };
    document.addEventListener("copy", fill, { once: true });
    document.getSelection().selectAllChildren(source);
    document.execCommand("copy");
    document.getSelection().removeAllRanges();
    document.removeEventListener("copy", fill);
  }
}

const isLong = (source) => source.matches("pre, .document");

function addAddress(summary) {
  const address = Object.assign(document.createElement("span"), { textContent: ` ${location.href}` });
  address.setAttribute("data-added", "");
  summary.append(address);
}

function addCopyButton(source) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "copy" });
  button.setAttribute("data-added", "");
  const isSummary = "page" in source.dataset;
  if (isSummary) addAddress(source);
  const word = isSummary ? `Copy ${source.dataset.copy}` : "Copy";
  button.textContent = word;
  button.setAttribute("aria-label", `Copy ${source.dataset.copy}`);
  button.addEventListener("click", async () => {
    await copy(source);
    button.textContent = "Copied";
    announce(`Copied ${source.dataset.copy}`);
    setTimeout(() => { button.textContent = word; }, 2000);
  });
  if (isLong(source)) source.before(button);
  else source.after(button);
}

// Charts: one tab stop each; the arrow keys move between the values.

const readValues = new WeakMap();

function markReadValue(chart) {
  const key = readValues.get(chart);
  for (const value of chart.querySelectorAll("rect")) value.classList.toggle("at", keyOf(value) === key);
}

function addReading(chart) {
  const reading = Object.assign(document.createElement("p"), { className: "reading" });
  reading.setAttribute("role", "status");
  reading.setAttribute("data-added", "");
  reading.textContent = "Use the arrow keys to read the values";
  chart.append(reading);
  const plot = chart.querySelector("svg");
  plot.setAttribute("tabindex", "0");
  plot.addEventListener("keydown", (event) => {
    const values = [...plot.querySelectorAll("rect")];
    const at = values.findIndex((value) => keyOf(value) === readValues.get(chart));
    const last = values.length - 1;
    const to = { ArrowRight: Math.min(at + 1, last), ArrowLeft: at < 0 ? last : Math.max(at - 1, 0), Home: 0, End: last }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    readValues.set(chart, keyOf(values[to]));
    markReadValue(chart);
    reading.textContent = values[to].textContent;
  });
}

function enhance() {
  for (const source of document.querySelectorAll("[data-copy]")) {
    const beside = isLong(source) ? source.previousElementSibling : source.nextElementSibling;
    if (!beside?.classList.contains("copy")) addCopyButton(source);
  }
  for (const chart of document.querySelectorAll("[data-chart]")) {
    if (!chart.querySelector(".reading")) addReading(chart);
    markReadValue(chart);
  }
}

showLocalTimes(document);
restoreFolds();
enhance();
