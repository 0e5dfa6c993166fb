// The plugin's page in the console: one's greetings, and a form for a new one. Plain JavaScript, so nothing is built.

export default async function mount(element, { api, user }) {
  const list = document.createElement("ul");
  const form = document.createElement("form");
  const label = document.createElement("label");
  const field = document.createElement("input");
  const button = document.createElement("button");
  const said = document.createElement("p");
  said.setAttribute("role", "status");
  field.name = "text";
  field.required = true;
  field.maxLength = 500;
  label.append("A greeting of yours ", field);
  button.textContent = "Keep it";
  form.append(label, button);
  const heading = document.createElement("h1");
  heading.textContent = `Greetings of ${user.username}`;
  element.append(heading, form, said, list);

  async function show() {
    const answer = await api("/api/hello/greetings");
    if (!answer.ok) throw new Error("The greetings could not be read");
    const { greetings } = await answer.json();
    list.replaceChildren(
      ...greetings.map((greeting) => {
        const item = document.createElement("li");
        item.textContent = greeting.text; // As text: what others wrote is never HTML.
        return item;
      }),
    );
    said.textContent = greetings.length === 0 ? "There are none yet." : "";
  }

  const tell = (error) => {
    said.textContent = error.message;
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const body = JSON.stringify({ text: field.value });
    api("/api/hello/greetings", { method: "POST", headers: { "Content-Type": "application/json" }, body })
      .then((answer) => {
        if (!answer.ok) throw new Error("That could not be kept");
        field.value = "";
        return show();
      })
      .catch(tell);
  });
  await show(); // What it throws is told by the console, with a way to try again.
}
