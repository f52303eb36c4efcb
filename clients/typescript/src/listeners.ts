// Calls listeners safely.

/** Calls a listener. Reports an exception as uncaught, so that the remaining listeners are still called. */
export function notify(listener: () => void): void {
  try {
    listener();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
