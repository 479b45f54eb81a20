-- When an action's effect should be looked at; NULL once that has been done.

-- +goose Up

ALTER TABLE resource_action_traces ADD COLUMN effectiveness_assessment_due timestamptz;

CREATE INDEX idx_traces_assessment_due
    ON resource_action_traces (effectiveness_assessment_due)
    WHERE effectiveness_assessment_due IS NOT NULL AND effectiveness IS NULL;

COMMENT ON COLUMN resource_action_traces.effectiveness_assessment_due
    IS 'Not before this time is the effect of the action measured';

-- +goose Down

DROP INDEX idx_traces_assessment_due;
ALTER TABLE resource_action_traces DROP COLUMN effectiveness_assessment_due;
