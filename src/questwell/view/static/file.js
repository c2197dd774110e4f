// A run in one file: unpacks the block that holds an item, when the item is opened.
(() => {
  "use strict";
  const list = document.getElementById("list"), item = document.getElementById("item"), blocks = {};
  const rows = [...document.querySelectorAll("tr[data-row]")];
  const unpack = async (number) => {
    if (!blocks[number]) {
      const packed = Uint8Array.from(atob(document.getElementById("b" + number).textContent), (char) => char.charCodeAt(0));
      const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
      blocks[number] = JSON.parse(await new Response(stream).text());
    }
    return blocks[number];
  };
  const show = async () => {
    const name = location.hash.slice(1);
    const at = rows.findIndex((row) => row.querySelector("a").hash === "#" + name);
    list.hidden = at >= 0;
    item.hidden = at < 0;
    if (at < 0) return;
    const html = (await unpack(rows[at].dataset.block))[name];
    const link = (row, text) => row ? `<a href="${row.querySelector("a").hash}">${text}</a> ` : "";
    item.innerHTML = `<p class="pages">${link(rows[at - 1], "← before")}${link(rows[at + 1], "next →")}</p>` + html;
    scrollTo(0, 0);
  };
  document.getElementById("filter").addEventListener("input", (event) => {
    const words = event.target.value.toLowerCase().split(/\s+/);
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
  });
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme-switch]")) return;
    const page = document.documentElement;
    const dark = page.dataset.theme ? page.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    page.dataset.theme = dark ? "light" : "dark";
  });
  addEventListener("hashchange", show);
  show();
})();
