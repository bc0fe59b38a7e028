// What the page does beyond its forms and links: it looks every second whether something has changed, shows it
// without losing focus, what is typed or what is unfolded, and sends forms without leaving the page.
"use strict";
(() => {
  const LOOK = 1000;
  const root = document.documentElement;
  let loaded = performance.now();
  let busy = false;
  let misses = 0;

  const now = () => Number(root.dataset.now) + ((performance.now() - loaded) / 1000) * Number(root.dataset.rate);

  function span(seconds) {
    let left = Math.floor(Math.abs(seconds));
    const parts = [];
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]]) {
      if (left >= size) {
        parts.push(`${Math.floor(left / size)} ${unit}`);
        left %= size;
      } else if (parts.length) {
        break;
      }
    }
    return parts.slice(0, 2).join(" ") || "0 s";
  }

  function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }

  // The server says what time it was; from there on the page counts by itself.
  function tick() {
    const time = now();
    const text = new Date(time * 1000).toISOString();
    for (const each of document.querySelectorAll("[data-hands]")) say(each, text.slice(11, 19));
    for (const each of document.querySelectorAll("[data-face]")) say(each, `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`);
    for (const each of document.querySelectorAll("time[data-at]")) {
      if (!each.closest("td")) say(each, `${span(time - Number(each.dataset.at))} ago`);
    }
    for (const each of document.querySelectorAll("[data-due]")) {
      const left = Number(each.dataset.due) - time;
      say(each, left > 0 ? `${span(Math.ceil(left))} left` : "any moment");
    }
  }

  // Make one element like another, in place.
  function morph(old, fresh) {
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !(name === "open" && old.tagName === "DETAILS")) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      const folded = name === "open" && old.tagName === "DETAILS";
      if (!folded && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    children(old, fresh);
  }

  // A field that somebody has touched is theirs until its form has been sent.
  const touched = new WeakSet();
  const typed = (element) => touched.has(element) || (element === document.activeElement && element.matches("input, select"));
  const key = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.id : "");
  const alike = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName && key(one) === key(other);

  // What has an id is the same thing wherever it stands; anything else is known by its place between such things.
  function children(old, fresh) {
    const wanted = [...fresh.childNodes];
    const ids = new Set(wanted.map(key));
    for (const node of [...old.childNodes]) if (key(node) && !ids.has(key(node))) drop(node);
    const keyed = new Map([...old.childNodes].filter(key).map((node) => [key(node), node]));
    let next = old.firstChild;
    for (const each of wanted) {
      let found = key(each) ? keyed.get(key(each)) : next;
      if (!key(each)) {
        while (found && !key(found) && !alike(found, each)) found = found.nextSibling;
        if (found && !key(found)) while (next !== found) next = drop(next);
        else found = null;
      }
      if (!found || !alike(found, each)) {
        const added = document.importNode(each, true);
        if (key(added)) added.classList.add("fresh");
        old.insertBefore(added, next);
        continue;
      }
      if (found === next) next = next.nextSibling;
      else old.insertBefore(found, next);
      if (found.nodeType !== Node.ELEMENT_NODE) {
        if (found.data !== each.data) found.data = each.data;
      } else if (!found.hasAttribute("data-keep") && !typed(found)) {
        morph(found, each);
      }
    }
    while (next) next = drop(next);
  }

  // What somebody has just been told stays until they do something else.
  function drop(node) {
    const next = node.nextSibling;
    if (!(node.nodeType === Node.ELEMENT_NODE && node.classList.contains("refusal"))) node.remove();
    return next;
  }

  async function show(answer, sent) {
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!page.documentElement.dataset.page) {
      if (answer.ok) location.assign(answer.url); // where the token is asked for
      else say(document.getElementById("offline"), `The server refuses: ${answer.status}.`);
      return;
    }
    if (!sent && sending) return;
    document.title = page.title;
    for (const name of ["now", "rate", "etag", "page"]) root.dataset[name] = page.documentElement.dataset[name];
    loaded = performance.now();
    morph(document.body, page.body);
    if (sent) {
      const notice = document.getElementById("notice");
      notice.replaceChildren(...page.getElementById("notice").childNodes);
      history.replaceState(null, "", root.dataset.page);
    }
    tick();
  }

  async function look() {
    if (document.hidden || busy) return;
    busy = true;
    try {
      const answer = await fetch(root.dataset.page, { headers: { "If-None-Match": root.dataset.etag }, cache: "no-store" });
      misses = 0;
      if (answer.ok || answer.status === 304) say(document.getElementById("offline"), "");
      if (answer.status !== 304) await show(answer, false);
    } catch {
      misses += 1;
      if (misses > 1) say(document.getElementById("offline"), "The server does not answer; this page waits for it.");
    } finally {
      busy = false;
    }
  }

  let sending = 0;

  async function send(form) {
    const body = new URLSearchParams(new FormData(form));
    for (const old of document.querySelectorAll(".refusal")) old.remove();
    form.classList.add("busy");
    sending += 1;
    try {
      const answer = await fetch(form.action, { method: "POST", body, cache: "no-store" });
      if (answer.ok && new URL(answer.url).pathname !== location.pathname && answer.redirected) {
        location.assign(answer.url);
        return;
      }
      const over = answer.ok && !form.classList.contains("again");
      if (over) for (const field of form.elements) touched.delete(field);
      await show(answer, true);
      if (over) form.reset();
      document.querySelector(".refusal")?.focus();
    } catch {
      say(document.getElementById("offline"), "The server did not answer; whether it did what you asked, the page will tell.");
    } finally {
      sending -= 1;
      form.classList.remove("busy");
    }
  }

  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    event.preventDefault();
    if (!event.target.classList.contains("busy")) send(event.target);
  });
  document.addEventListener("input", (event) => touched.add(event.target));
  document.addEventListener("visibilitychange", look);
  if (location.search.includes("did=")) history.replaceState(null, "", root.dataset.page + location.hash);
  setInterval(look, LOOK);
  setInterval(tick, 250);
  tick();
})();
