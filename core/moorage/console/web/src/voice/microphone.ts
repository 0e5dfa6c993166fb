// The microphone, as frames of 24 kHz mono.
import capture from "worklet:./capture.worklet";
import { CAPTURE } from "./format";

/** What keeps one from being heard, in words. */
export class Unheard extends Error {}

const WHY: Record<string, string> = {
  NotAllowedError: "The browser does not let this page hear you. Allow it the microphone, beside the address, and try again.",
  NotFoundError: "There is no microphone: connect one, then try again.",
  NotReadableError: "The microphone cannot be used: another program may have it.",
};

interface MicrophoneEvents {
  onFrame: (frame: Float32Array<ArrayBuffer>) => void;
  /** It was pulled out, or the right to it was taken back. */
  onLost: (problem: string) => void;
}

export class Microphone {
  private constructor(
    private readonly stream: MediaStream,
    private readonly context: AudioContext,
  ) {}

  /** Ask the person for it, and begin. `gone`: nobody wants it any more, even if it is being asked for. */
  static async open(events: MicrophoneEvents, gone: AbortSignal): Promise<Microphone | null> {
    // Browsers have neither where the page came over plain http from elsewhere than this machine.
    if (!navigator.mediaDevices?.getUserMedia || typeof AudioWorkletNode === "undefined") {
      throw new Unheard("Browsers let pages hear you over https only. Ask whoever runs this server for such an address.");
    }
    const stream = await navigator.mediaDevices
      .getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true } })
      .catch((error: unknown) => {
        const name = error instanceof DOMException ? error.name : "";
        throw new Unheard(WHY[name] ?? `The microphone cannot be used (${name || String(error)}).`);
      });
    const microphone = Microphone.of(stream);
    if (!gone.aborted) await microphone.connect(events);
    if (!gone.aborted) return microphone;
    microphone.close();
    return null;
  }

  /** It is on by now: where the browser gives no more contexts, it must not stay so. */
  private static of(stream: MediaStream): Microphone {
    try {
      return new Microphone(stream, new AudioContext({ latencyHint: "interactive" }));
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      throw new Unheard(`The microphone cannot be used (${String(error)}).`);
    }
  }

  private async connect({ onFrame, onLost }: MicrophoneEvents): Promise<void> {
    const { stream, context } = this;
    try {
      await context.audioWorklet.addModule(capture);
      const node = new AudioWorkletNode(context, CAPTURE, {
        numberOfOutputs: 0,
        channelCount: 1,
        channelCountMode: "explicit",
      });
      node.port.onmessage = ({ data }: MessageEvent<Float32Array<ArrayBuffer>>) => onFrame(data);
      context.createMediaStreamSource(stream).connect(node);
      // After a telephone call, for one.
      context.onstatechange = () => {
        if (context.state !== "closed" && context.state !== "running") void context.resume();
      };
      for (const track of stream.getTracks()) track.onended = () => onLost("The microphone was taken away.");
      void context.resume();
    } catch (error) {
      this.close();
      throw new Unheard(`The microphone cannot be used (${String(error)}).`);
    }
  }

  close(): void {
    for (const track of this.stream.getTracks()) {
      track.onended = null;
      track.stop();
    }
    this.context.onstatechange = null;
    if (this.context.state !== "closed") void this.context.close();
  }
}
