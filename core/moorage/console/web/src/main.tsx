// The console's entry: takes the setup token out of the address, then hands over to the application.
import { render } from "preact";
import "./style.css";
import { App } from "./app";
import { followLinks } from "./router";

function takeSetupToken(): string | null {
  const token = new URLSearchParams(location.hash.slice(1)).get("setup");
  // It is worth an owner's account: out of the address bar and the history at once.
  if (token !== null) history.replaceState(null, "", location.pathname + location.search);
  return token;
}

const root = document.getElementById("app");
if (root) {
  root.replaceChildren();
  document.addEventListener("click", followLinks);
  render(<App setupToken={takeSetupToken()} />, root);
}
