/// <reference types="vite/client" />

interface ImportMetaEnv {
  /** URL of the HTTP API, if the page is served from another place than the API. */
  readonly VITE_TIDINGS_URL?: string;
  /** URL of the WebSocket API, if it is not at `/ws` of the HTTP API. */
  readonly VITE_TIDINGS_SOCKET_URL?: string;
}
