// What the pages do by themselves: follow a run that goes on, keys, theme, copying. No library, nothing fetched elsewhere.
(() => {
  "use strict";
  const page = document.documentElement;
  const kept = (name, value) => {
    try {
      if (value === undefined) return localStorage.getItem(name);
      localStorage.setItem(name, value);
    } catch { /* a browser that keeps nothing */ }
    return null;
  };

  const theme = kept("theme");
  if (theme) page.dataset.theme = theme;
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-theme-switch]")) {
      const dark = page.dataset.theme ? page.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      page.dataset.theme = dark ? "light" : "dark";
      kept("theme", page.dataset.theme);
    }
    const copy = event.target.closest(".copy");
    if (copy) navigator.clipboard.writeText(copy.dataset.text).then(() => { copy.textContent = "copied"; });
  });

  const dress = () => {
    for (const one of document.querySelectorAll("[data-copy]")) {
      if (one.querySelector(".copy")) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "copy";
      const plain = one.cloneNode(true);
      for (const gone of plain.querySelectorAll("del")) gone.remove();
      button.dataset.text = plain.textContent.replace(/\s+/g, " ").trim();
      one.append(button);
    }
    const reviewer = document.querySelector("input[name=reviewer]");
    if (reviewer && kept("reviewer")) reviewer.value = kept("reviewer");
    const wanted = location.hash && document.getElementById(location.hash.slice(1));
    if (wanted && wanted.tagName === "DETAILS") wanted.open = true;
  };
  document.addEventListener("submit", (event) => {
    const reviewer = event.target.querySelector("input[name=reviewer]");
    if (reviewer) kept("reviewer", reviewer.value);
  });

  let tag = null;
  const follow = async () => {
    if (document.hidden) return;
    const active = document.activeElement, main = document.querySelector("main");
    if (active && active.closest("form")) return; // somebody is writing
    try {
      const answer = await fetch(location.href.split("#")[0], {
        headers: { "x-fragment": "1", ...(tag ? { "if-none-match": tag } : {}) }, cache: "no-store",
      });
      if (answer.status !== 200) return;
      const first = tag === null;
      tag = answer.headers.get("etag");
      const text = await answer.text();
      if (first && !document.body.dataset.fresh) { document.body.dataset.fresh = "1"; }
      const open = [...document.querySelectorAll("main details")].map((one) => one.open);
      const at = rows().findIndex((row) => row.classList.contains("on"));
      const focused = places().indexOf(active);
      main.innerHTML = text; // escaped by the server; no script of a run can run under the policy
      document.querySelectorAll("main details").forEach((one, number) => { one.open = open[number] ?? one.open; });
      dress();
      if (at >= 0) mark(at);
      if (focused >= 0) (places().find((one) => active.href && one.href === active.href) || places()[focused] || main).focus({ preventScroll: true });
    } catch { /* the server is away: the next look tells */ }
  };
  if (document.body.dataset.live !== undefined) setInterval(follow, 2000);

  const rows = () => [...document.querySelectorAll("tr[data-row]")];
  const places = () => [...document.querySelectorAll("main :is(a, button, summary)")];
  const mark = (number) => {
    const all = rows();
    all.forEach((row) => row.classList.remove("on"));
    const row = all[Math.max(0, Math.min(number, all.length - 1))];
    if (row) row.classList.add("on");
    return row;
  };
  const select = (number) => {
    const row = mark(number), link = row && row.querySelector("a");
    if (row) row.scrollIntoView({ block: "nearest" });
    if (link) link.focus({ preventScroll: true }); // Enter opens it, Tab goes on from it
  };
  const go = (selector) => { const link = document.querySelector(selector); if (link) location.href = link.href; };
  const press = (decision) => { const button = document.querySelector(`button[name=decision][value=${decision}]`); if (button) button.click(); };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select")) { if (event.key === "Escape") event.target.blur(); return; }
    const at = rows().findIndex((row) => row.classList.contains("on"));
    const list = document.querySelector("form.filters input[name=q]");
    switch (event.key) {
      case "j": rows().length ? select(at + 1) : go("a[rel=next]"); break;
      case "k": rows().length ? select(Math.max(0, at - 1)) : go("a[rel=prev]"); break;
      case "Enter": if (event.target.closest("a, button, summary")) break; else { const link = at >= 0 && rows()[at].querySelector("a"); if (link) location.href = link.href; break; }
      case "/": if (list) { event.preventDefault(); list.focus(); } else go("a[data-list]"); break;
      case "n": go("a[data-fresh]"); break;
      case "a": press("accept"); break;
      case "r": press("reject"); break;
      case "e": { const field = document.querySelector("textarea[name=question]"); if (field) { event.preventDefault(); field.focus(); } break; }
    }
  });
  dress();
})();
