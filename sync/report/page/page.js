(() => {
  "use strict";
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const number = new Intl.NumberFormat("en");
  const found = document.getElementById("found"), search = document.getElementById("q");

  // A group is a list of people. Rows that are not shown are not in the document.
  const groups = all("[data-group]").map((box) => {
    const list = box.querySelector("[data-list]"), rest = box.querySelector("template");
    const group = {
      box, list, section: box.closest("section"), count: box.querySelector(".count"), more: box.querySelector(".more"),
      rows: [...list.children, ...(rest ? rest.content.children : [])], page: list.children.length, open: box.open,
    };
    group.shown = group.page;
    if (rest) {
      group.more.textContent = "";
      group.button = group.more.appendChild(document.createElement("button"));
      group.button.type = "button";
      group.button.addEventListener("click", () => {
        group.shown *= 2;
        draw(group);
      });
    }
    return group;
  });

  // What a row is found by: all that it shows, and the heading above it.
  const keysOf = (group) => {
    const head = all("h3, summary, .hint", group.box).map((e) => e.textContent).join(" ");
    return (group.keys ||= group.rows.map((row) => (head + " " + row.textContent).toLowerCase()));
  };

  let words = [], kind = "";
  const draw = (group) => {
    const keys = words.length ? keysOf(group) : null;
    group.hits = keys ? group.rows.filter((_, i) => words.every((w) => keys[i].includes(w))) : group.rows;
    const visible = group.hits.slice(0, group.shown);
    group.list.replaceChildren(...visible);
    if (group.button) {
      const left = group.hits.length - visible.length;
      group.more.hidden = left === 0;
      group.button.textContent = `Show ${number.format(Math.min(left, group.shown))} more of ${number.format(left)}`;
    }
    group.box.hidden = words.length > 0 && visible.length === 0;
  };

  const filter = () => {
    words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let people = 0;
    for (const group of groups) {
      const off = kind !== "" && kind !== group.section.dataset.kind;
      group.shown = group.page;
      if (!off) draw(group);
      if (group.box.tagName === "DETAILS") group.box.open = words.length > 0 || kind !== "" || group.open;
      people += off ? 0 : group.hits.length;
    }
    for (const section of all("section[data-kind]")) {
      const off = kind !== "" && kind !== section.dataset.kind;
      section.hidden = off || (words.length > 0 && all("[data-group]:not([hidden])", section).length === 0);
    }
    for (const section of all("main > section:not([data-kind])")) section.hidden = kind !== "" || words.length > 0;
    found.textContent = words.length === 0 ? "" : people === 0 ? "Nobody matches." : people === 1 ? "1 person matches." : `${number.format(people)} people match.`;
  };
  search.addEventListener("input", filter);
  for (const chip of all("[data-show]")) {
    chip.addEventListener("click", () => {
      kind = chip.dataset.show;
      for (const other of all("[data-show]")) other.setAttribute("aria-pressed", String(other === chip));
      filter();
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      search.focus();
    }
    if (event.key === "Escape" && document.activeElement === search) {
      search.value = "";
      filter();
    }
  });
  document.querySelector(".tools").hidden = groups.length === 0;
  groups.forEach(draw);
  const idle = self.requestIdleCallback || setTimeout;
  for (const group of groups) idle(() => keysOf(group)); // so that the first search has them

  // Where there is no clipboard, as on a page by http, the old way still works.
  const oldCopy = (text) => {
    const area = document.body.appendChild(document.createElement("textarea"));
    area.value = text;
    area.select();
    document.execCommand("copy");
    area.remove();
  };
  const copy = async (button, text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      oldCopy(text);
    }
    button.classList.add("copied");
    found.textContent = "Copied.";
    setTimeout(() => button.classList.remove("copied"), 1500);
  };
  const refsOf = (group) => group.hits.flatMap((row) =>
    all("[data-copy]", row).map((ref) => row.querySelector(".who").textContent + "\t" + ref.dataset.copy));
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if ("copy" in button.dataset) copy(button, button.dataset.copy);
    if ("copyAll" in button.dataset) copy(button, refsOf(groups.find((g) => g.box.contains(button))).join("\n") + "\n");
  });

  for (const time of all("time")) time.title = new Date(time.dateTime).toLocaleString();
  addEventListener("beforeprint", () => all("details").forEach((d) => (d.open = true)));
  addEventListener("afterprint", filter);
})();
