/* Around allauth's own script: says what went wrong, and offers no button that cannot work. */

const show = (id) => {
  const line = document.getElementById(id);
  if (line) line.hidden = false;
};

document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  show("passkey-problem");
});

document.addEventListener("DOMContentLoaded", () => {
  const buttons = document.querySelectorAll("[data-passkey]");
  for (const button of buttons) {
    if (window.PublicKeyCredential) button.hidden = false;
    // Enter in the name's field is the button, not a form without a passkey in it.
    button.form?.addEventListener("submit", (event) => {
      event.preventDefault();
      if (event.submitter !== button) button.click();
    });
  }
  if (buttons.length && !window.PublicKeyCredential) show("passkey-unsupported");
});
