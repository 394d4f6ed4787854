/**
 * Builds the page into demo/dist, which any web server can hand out, under any path. ONNX Runtime's WebAssembly is one of
 * its files; one thread needs no special headers.
 */
import { defineConfig, type Plugin } from "vite";

/** Lets the browser itself see to it that nothing is fetched from elsewhere and no picture is sent anywhere. */
const securityPolicy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "worker-src 'self'",
  "connect-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** Only in what is built: the development server puts scripts and styles into the page itself. */
const withPolicy: Plugin = {
  name: "security-policy",
  apply: "build",
  transformIndexHtml: () => [
    {
      tag: "meta",
      attrs: { "http-equiv": "Content-Security-Policy", content: securityPolicy },
      injectTo: "head-prepend",
    },
  ],
};

export default defineConfig({
  base: "./",
  publicDir: false,
  plugins: [withPolicy],
  resolve: {
    // The package's default would bring WebGPU and WebGL along.
    alias: [{ find: /^onnxruntime-web$/, replacement: "onnxruntime-web/wasm" }],
  },
  build: { outDir: "dist", emptyOutDir: true, assetsInlineLimit: 0, target: "es2022" },
  worker: { format: "es" },
});
