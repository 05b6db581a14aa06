// A slider on a page without a kernel: it chooses among the pictures that the notebook drew when it was built.
document.querySelectorAll(".course-slider").forEach((box) => {
  const frames = JSON.parse(box.querySelector("script[type='application/json']").textContent);
  const picture = box.querySelector("img");
  const controls = [...box.querySelectorAll("input, select")];
  const show = () => {
    const place = controls.map((control) => Number(control.value));
    controls.forEach((control, i) => {
      const words = frames.controls[i].positions[place[i]];
      if (control.type === "range") {
        control.setAttribute("aria-valuetext", words);
        control.parentElement.querySelector("output").textContent = words;
      }
    });
    const frame = frames.frames[place.reduce((index, at, i) => index * frames.controls[i].positions.length + at, 0)];
    picture.src = frames.folder + frame.file;
    picture.alt = frame.alt;
  };
  controls.forEach((control) => control.addEventListener("input", show));
});

// What scrolls sideways can be scrolled by keyboard: code and tables now, formulas when they are set.
const SIDEWAYS = ".bd-article pre, .bd-article .pst-scrollable-table-container, .bd-article .course-claims, .bd-article mjx-container";
const letKeysScroll = () => document.querySelectorAll(SIDEWAYS).forEach((box) => {
  if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
});
letKeysScroll();
window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(letKeysScroll));

// The arrows of the side bar have no words of their own.
document.querySelectorAll("summary").forEach((arrow) => {
  if (!arrow.textContent.trim()) arrow.setAttribute("aria-label", "show or hide the pages below");
});
