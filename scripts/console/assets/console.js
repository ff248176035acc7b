// What pages do in a browser beyond htmx: times in the viewer's zone, copying, questions as dialogs, the graph's size.
"use strict";

(() => {
  const zone = new Intl.DateTimeFormat(undefined, {
    year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  });

  // UTC stays to be seen on hover.
  const localise = (root) => {
    for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      time.title = time.dateTime;
      time.textContent = zone.format(at);
    }
  };

  const say = (text) => { document.getElementById("said").textContent = text; };

  const offerCopies = (root) => {
    for (const text of root.querySelectorAll("[data-copy]:not([data-offered])")) {
      text.dataset.offered = "";
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.setAttribute("aria-label", `Copy ${text.textContent}`);
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(text.textContent);
          say("Copied");
          button.textContent = "Copied";
        } catch {
          getSelection().selectAllChildren(text);
          say("Selected: copy it with the keyboard");
        }
      });
      text.after(" ", button);
    }
  };

  let zoom = 1;
  const resize = () => {
    const drawn = document.querySelector(".drawing svg");
    if (!drawn) return;
    // Fitting is the style's own doing.
    drawn.style.width = zoom === 1 ? "" : `${Math.round(drawn.viewBox.baseVal.width * zoom)}px`;
    drawn.style.maxWidth = zoom === 1 ? "" : "none";
  };

  const dress = (root) => {
    localise(root);
    offerCopies(root);
    resize();
  };

  const ask = async (link) => {
    const dialog = document.getElementById("dialog");
    const answer = await fetch(link.href, { credentials: "same-origin" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const question = page.querySelector("[data-question]");
    // Whatever it is, the page says it.
    if (!question) return location.assign(link.href);
    dialog.replaceChildren(document.adoptNode(question));
    dress(dialog);
    dialog.setAttribute("aria-label", question.querySelector("h1").textContent);
    dialog.showModal();
  };

  document.addEventListener("click", (event) => {
    const target = event.target;
    const link = target.closest("a[data-dialog]");
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      ask(link).catch(() => location.assign(link.href));
      return;
    }
    if (target.closest("dialog [data-close]")) {
      event.preventDefault();
      document.getElementById("dialog").close();
      return;
    }
    const tool = target.closest("[data-zoom]");
    if (tool) {
      zoom = { in: zoom * 1.25, out: zoom / 1.25, fit: 1 }[tool.dataset.zoom];
      resize();
    }
  });

  document.addEventListener("htmx:afterSettle", () => dress(document));
  dress(document);
})();
