/* Three tones for a new critical alarm: made here, so that no file has to be fetched. */
(() => {
  'use strict';
  window.townboard.chime = (audio) => {
    for (const [place, pitch] of [880, 660, 880].entries()) {
      const tone = audio.createOscillator(), loud = audio.createGain(), at = audio.currentTime + place * .22;
      tone.frequency.value = pitch;
      loud.gain.setValueAtTime(.0001, at); loud.gain.exponentialRampToValueAtTime(.25, at + .02); loud.gain.exponentialRampToValueAtTime(.0001, at + .2);
      tone.connect(loud).connect(audio.destination);
      tone.start(at); tone.stop(at + .21);
    }
  };
})();
