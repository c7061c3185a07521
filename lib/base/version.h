#pragma once

#define BYWAY_VERSION "0.1.0"
