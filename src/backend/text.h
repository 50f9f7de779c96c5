/*-------------------------------------------------------------------------
 *
 * text.h
 *	  Words of the other side, before anybody here reads them.
 *
 * src/backend/text.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef PRISM_TEXT_H
#define PRISM_TEXT_H

/*
 * Replace in place what is no printable character: control characters of any
 * kind, bytes that are no UTF-8, and whatever is beyond ASCII when the database
 * is not in UTF-8.  Calls nothing that throws.
 */
extern void prism_text_clean(char *text, bool utf8);

#endif							/* PRISM_TEXT_H */
