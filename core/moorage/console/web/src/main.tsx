// The console's entry: reads what the address brought, then hands over to the application.
import { render } from "preact";
import "./style.css";
import "./forms.css";
import { followTabs } from "./api";
import { App } from "./app";
import { arrive } from "./arrival";
import { followLook } from "./look";
import { followLinks } from "./router";

const root = document.getElementById("app");
if (root) {
  root.replaceChildren();
  followLook();
  followTabs();
  document.addEventListener("click", followLinks);
  render(<App {...arrive()} />, root);
}
