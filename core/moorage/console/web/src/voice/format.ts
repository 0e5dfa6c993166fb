// Sound as it goes to the server that hears: eaRS's wire format, float32 little-endian, mono, within [-1, 1].

/** Samples per second. */
export const RATE = 24_000;
/** Samples in a frame: some 43 milliseconds, as Octo's own page sends them. */
export const FRAME = 1024;
/** The name by which the audio thread knows `capture.worklet.ts`. */
export const CAPTURE = "moorage-capture";
