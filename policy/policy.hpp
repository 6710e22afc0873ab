#pragma once

/// Module `policy`: what an operator allows.
///
/// Access lists and rate limits, as plain computation over addresses and the time it is told. It sees no query, no
/// transport and no zone; the pipeline's stages hand it what it may know. Start reading at `access_list.hpp`.

#include "policy/access_list.hpp"
#include "policy/rate_limit.hpp"
