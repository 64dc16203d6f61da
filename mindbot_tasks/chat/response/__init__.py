"""What becomes of an answer before anybody sees it, and of a question before a model does. Pure.

Each filter works on a whole text, and for a text that still grows it says from where on it cannot judge yet. So what is
shown of a growing answer is always the beginning of what will be shown of the whole, and nothing forbidden is in it.
"""
