// SPDX-License-Identifier: GPL-2.0
/* The one place where the tracepoints are created. */
#include "internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/smmu_inval.h>
