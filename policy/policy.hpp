#pragma once

/// Module `policy`: what an operator allows.
///
/// Access lists, rate limits, sets of clients and of names, as plain computation over what it is told (`Facts`), and
/// the vocabulary of whoever decides (`Verdict`). It sees no query, no transport and no zone; the pipeline's stages
/// hand it what it may know. Start reading at `access_list.hpp` and `domain_set.hpp`.

#include "policy/access_list.hpp"
#include "policy/client_set.hpp"
#include "policy/domain_list.hpp"
#include "policy/domain_set.hpp"
#include "policy/rate_limit.hpp"
