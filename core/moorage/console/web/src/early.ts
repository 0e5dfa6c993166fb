// Before anything is drawn: the look that was chosen. By itself and small, since the page waits for it.
import { applyLook } from "./look";

applyLook();
