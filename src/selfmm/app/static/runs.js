// The table of runs: filters apply when they are changed, and two runs are ticked to be compared.
const filters = document.getElementById("filters");
if (filters) {
  filters.classList.add("live");
  for (const field of filters.querySelectorAll("select, input[type=checkbox]")) field.addEventListener("change", () => filters.requestSubmit());
  filters.addEventListener("submit", () => {
    for (const field of filters.elements) if (field.name && field.value === "") field.disabled = true; // a short link
  });
  addEventListener("pageshow", () => {
    for (const field of filters.elements) field.disabled = false;
  });
}

const choose = document.getElementById("choose");
if (choose) {
  const boxes = [...choose.querySelectorAll("input[name=run]")];
  const button = document.getElementById("compare");
  const words = document.getElementById("chosen");
  const order = boxes.filter((box) => box.checked);
  const show = () => {
    button.disabled = order.length !== 2;
    words.textContent = order.length === 2 ? `${order[0].value} and ${order[1].value}` : order.length ? `${order[0].value}; tick one more.` : "Tick two runs.";
  };
  for (const box of boxes) {
    box.addEventListener("change", () => {
      if (box.checked) order.push(box);
      else order.splice(order.indexOf(box), 1);
      if (order.length > 2) order.shift().checked = false; // the one ticked first gives way
      show();
    });
  }
  addEventListener("pageshow", () => {
    order.splice(0, order.length, ...boxes.filter((box) => box.checked));
    show();
  });
  show();
}
