"""Who speaks when: diarizers, from one that needs no download to those that want models of the user's own."""
