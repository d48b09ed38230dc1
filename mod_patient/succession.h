/*
 * succession.h - at a graceful restart there is room for new children, however
 * many old ones still finish what they began.
 *
 * httpd has a place for so many children (ServerLimit).  Old ones that go on
 * serving keep theirs, and with the last place gone nobody serves who comes
 * new, for as long as those take.
 *
 * httpd tells each child of a restart, but no more of them than it wants to
 * have: one too many, which it forks when a child dies at the wrong moment,
 * can miss the message and would stay for ever.
 */
#ifndef PATIENT_SUCCESSION_H
#define PATIENT_SUCCESSION_H

/**
 * Ends the oldest children where there are fewer places left than the new
 * generation needs: their requests are lost, and all others are served.  The
 * generation that the restart ends is left to finish.  In the parent, in
 * post_config; does nothing but at a graceful restart.
 * @return how many ended
 */
int succession_make_room(void);

/**
 * Ends children that a restart has left behind: such as belong to an earlier
 * generation and take new connections all the same, ten seconds after they
 * were first seen to, at a moment when they serve nobody.  In the parent, in
 * monitor, which httpd calls every ten seconds, and sooner while many children
 * end.
 * @return how many ended
 */
int succession_end_left_behind(void);

#endif
