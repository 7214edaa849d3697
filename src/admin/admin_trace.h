/* admin_trace: `postel trace`: a message's way, told like a parcel's. */
#ifndef POSTEL_ADMIN_TRACE_H
#define POSTEL_ADMIN_TRACE_H

#include "admin/command.h"

command_fn admin_trace;

#endif
