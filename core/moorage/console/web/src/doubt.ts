// What the server said may mean that one is signed out, may do other things, or that a plugin came or went: it is asked again.

export const DOUBT = "moorage:doubt";

export const doubt = (): void => void window.dispatchEvent(new Event(DOUBT));
