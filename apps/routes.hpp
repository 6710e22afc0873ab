#pragma once

#include "admin/admin.hpp"

#include <vector>

namespace sallyport::apps {

class Control;
class Gateway;

/// Everything the management API answers. The routes borrow both, which outlive the server.
[[nodiscard]] std::vector<admin::Route> all_routes(Gateway& gateway, Control& control);

} // namespace sallyport::apps
