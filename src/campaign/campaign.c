#include "campaign/campaign.h"

void fw_campaign_restart(fw_campaign_state *state) {
    state->primed = false;
}
