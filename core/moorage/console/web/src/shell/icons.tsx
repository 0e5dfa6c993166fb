// The pictures in the frame. What they mean is said beside them.
import type { JSX } from "preact";

export const Lines = (): JSX.Element => (
  <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
    <path d="M1 3.500h14M1 8h14M1 12.500h14" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" />
  </svg>
);

export const Lens = (): JSX.Element => (
  <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.6">
    <circle cx="6.5" cy="6.5" r="4.7" />
    <path d="m10 10 4.5 4.5" stroke-linecap="round" />
  </svg>
);

/** A page with a bar beside it. */
export const SideBar = (): JSX.Element => (
  <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.4">
    <rect x="1.2" y="2.2" width="13.600" height="11.600" rx="2" />
    <path d="M6 2.200v11.600" />
  </svg>
);
