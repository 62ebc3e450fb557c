"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const LETTERS = "ABCDEFGHI";
  let task = null;
  let chosen = null;
  let busy = false;
  let shownAt = 0;
  let retry = null;

  const trouble = (message, again) => {
    $("trouble").hidden = !message;
    $("trouble").querySelector("span").textContent = message || "";
    retry = again || null;
  };

  // One request at a time: a second click while one is under way does nothing.
  const ask = async (address, body) => {
    if (busy) return;
    busy = true;
    document.body.classList.add("busy");
    try {
      const options = body === undefined ? {} : {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      };
      const response = await fetch(address, options);
      const answer = await response.json();
      if (response.status === 401) {
        trouble("");
        busy = false;
        await ask("/api/state");
        return;
      }
      if (!response.ok) {
        trouble(answer.error || "The study's server could not answer.", () => ask(address, body));
        return;
      }
      trouble("");
      show(answer);
    } catch {
      trouble("The study's server does not answer. Your answers so far are kept.", () => ask(address, body));
    } finally {
      busy = false;
      document.body.classList.remove("busy");
    }
  };

  const show = (state) => {
    document.title = state.title;
    $("title").textContent = state.code === null ? "" : state.title;
    $("welcome-title").textContent = state.title;
    $("who").hidden = $("progress").hidden = state.code === null;
    $("welcome").hidden = state.code !== null;
    $("task").hidden = !state.task;
    $("end").hidden = state.code === null || Boolean(state.task);
    task = null;
    if (state.code === null) {
      $("about").textContent =
        `${state.questions} times you will see ${state.runs} pictures in shuffled order and choose one of them. ` +
        "There is no right answer. You may stop at any time and go on later.";
      $("given").focus();
      return;
    }
    $("code").textContent = state.code;
    const share = state.total ? (100 * state.done) / state.total : 100;
    $("done").style.width = `${share}%`;
    $("progress").setAttribute("aria-valuenow", String(Math.round(share)));
    $("place").textContent = `${Math.min(state.done + 1, state.total)} of ${state.total}`;
    if (!state.task) {
      $("thanks").textContent = state.done
        ? `You have answered all ${state.done} questions. You can close this page.`
        : "There is nothing to answer: the pictures of this study are missing.";
      return;
    }
    showTask(state.task);
  };

  const showTask = (next) => {
    task = next;
    chosen = null;
    $("question").textContent = task.question;
    $("pass").hidden = true;
    $("last").textContent = String(task.choices.length);
    const input = $("input");
    input.hidden = !task.input;
    const picture = input.querySelector("img");
    picture.onerror = broken;
    if (task.input) picture.src = fresh(task.input);
    const choices = $("choices");
    choices.replaceChildren();
    task.choices.forEach((address, position) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "choice";
      button.setAttribute("role", "radio");
      button.setAttribute("aria-checked", "false");
      button.setAttribute("aria-label", `Picture ${LETTERS[position]}`);
      button.tabIndex = position ? -1 : 0;
      const image = document.createElement("img");
      image.alt = "";
      image.draggable = false;
      image.onerror = broken;
      image.src = fresh(address);
      const letter = document.createElement("span");
      letter.textContent = LETTERS[position];
      button.append(image, letter);
      button.addEventListener("click", () => choose(position));
      choices.append(button);
    });
    choose(null);
    shownAt = performance.now();
    window.scrollTo(0, 0);
  };

  // The address of another participant's picture is the same: what is already decoded must not be used again.
  const fresh = (address) => `${address}?${encodeURIComponent($("code").textContent)}`;

  const broken = (event) => {
    event.target.closest("figure, button").classList.add("broken");
    $("pass").hidden = false;
  };

  const choose = (position) => {
    chosen = position;
    [...$("choices").children].forEach((button, place) => {
      button.setAttribute("aria-checked", String(place === position));
      button.tabIndex = place === (position ?? 0) ? 0 : -1;
    });
    const vote = $("vote");
    vote.disabled = position === null;
    vote.textContent = position === null ? "Choose a picture" : `Answer ${LETTERS[position]}`;
  };

  const answer = (position) => {
    if (!task || busy) return;
    ask("/api/vote", { task: task.number, position, seconds: (performance.now() - shownAt) / 1000 });
  };

  $("welcome").addEventListener("submit", (event) => {
    event.preventDefault();
    ask("/api/enter", { code: $("given").value });
  });
  $("leave").addEventListener("click", () => {
    $("given").value = "";
    ask("/api/leave", {});
  });
  $("vote").addEventListener("click", () => chosen !== null && answer(chosen));
  $("pass").addEventListener("click", () => answer(null));
  $("trouble").querySelector("button").addEventListener("click", () => (retry || (() => ask("/api/state")))());

  document.addEventListener("keydown", (event) => {
    if (!task || event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "INPUT") return;
    const position = Number(event.key) - 1;
    const count = task.choices.length;
    if (Number.isInteger(position) && position >= 0 && position < count) {
      choose(position);
    } else if (event.key === "Enter" && chosen !== null && !event.repeat) {
      if (event.target.id === "leave" || event.target.id === "pass") return;
      event.preventDefault();
      answer(chosen);
    } else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const next = ((chosen ?? (event.key === "ArrowRight" ? -1 : count)) + (event.key === "ArrowRight" ? 1 : -1) + count) % count;
      choose(next);
      $("choices").children[next].focus();
    }
  });

  ask("/api/state");
})();
