// A page as an application's: a module script that imports the package. What the
// tests need of it hangs on window.
const hopseal = await import("/hopseal/index.js");
const cleartext = await import("/hopseal/insecure-cleartext.js");

window.hopseal = hopseal;
window.cleartext = cleartext;

// caught gives an error as data, for the test to look at.
window.caught = async (promise) => {
  try {
    await promise;
    return { code: "none" };
  } catch (error) {
    const { name, code, message, hint, retryable, reason } = error;
    return { name, code, message, hint, retryable, reason: reason ?? "" };
  }
};

window.start = async (source) => {
  const since = performance.now();
  const info = await hopseal.init(source);
  return { ...info, milliseconds: performance.now() - since };
};

window.loaded = true;
