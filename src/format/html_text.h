/* html_text: the visible text of an HTML part, for previews and search. No renderer: what it gives is shown as text only. */
#ifndef POSTEL_HTML_TEXT_H
#define POSTEL_HTML_TEXT_H

#include "base/str.h"

/* Appends the text of UTF-8 `html` without tags, comments, head, script, style and the like; entities resolved; block
 * elements become line feeds. Stops once `most` bytes were appended. One pass. */
void html_text(struct str *out, struct span html, size_t most);

#endif
