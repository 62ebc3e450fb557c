"use strict";
// A picture is enlarged by click or Enter; the page is complete without this.
(() => {
  const dialog = document.getElementById("zoom");
  if (!dialog || !dialog.showModal) return;
  const large = dialog.querySelector("img");
  const caption = dialog.querySelector("p");
  const open = (picture) => {
    large.src = picture.src;
    large.alt = picture.alt;
    large.className = picture.className;
    caption.textContent = `${picture.alt} (${picture.getAttribute("width")} × ${picture.getAttribute("height")})`;
    dialog.showModal();
  };
  document.querySelectorAll(".tile img").forEach((picture) => {
    picture.addEventListener("click", () => open(picture));
    picture.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        open(picture);
      }
    });
  });
  dialog.addEventListener("click", () => dialog.close());
})();
