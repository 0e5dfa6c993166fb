/** The address of a module for the audio thread, bundled by itself. */
declare module "worklet:*" {
  const url: string;
  export default url;
}
