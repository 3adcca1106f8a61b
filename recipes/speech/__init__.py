"""Speech that is made or cut for training: synthetic voices, words out of sentences, phones by alignment.

`recipes/make_speech.py` is how it is run; each file here is one step of it.
"""
